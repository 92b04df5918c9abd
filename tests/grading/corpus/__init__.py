"""Submissions that graders must survive: honest, damaged and hostile ones, made from any chapter's release.

    release.py     the chapter's notebook, its right answers, and papers filled in from them
    sources.py     a function of this repository as the source of a cell
    hostile.py     what a member of the corpus is, and all of them in order
    honest.py      right, partly right and untouched ones, written in ways that must cost nothing
    damage.py      damage without malice
    on_*.py        attacks on the tests, the reference, the judge, the machine, and on other students
    drive.py       a course in a folder that they are handed in to, and what grading them leaves behind

Every member is safe to grade without a sandbox: what would hurt is done only where the yard, a folder of the
test's own, cannot be seen; where it can be seen, the attack says so instead.
"""
