"""Speed and quality beside peers, in one run: `python -m benchmarks`, or `make bench`.

    race       a module of benchmarks.races: what is measured, beside whom, in turns
    row        one line of the table, see benchmarks.records
    setting    the device, the number of threads and the budget that a race is given

A race that is over is kept in build/bench and not run again, unless what it measures has changed.
"""
