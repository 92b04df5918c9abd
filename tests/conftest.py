"""What every test runs under, whatever the shell says that started it, and to which part a test belongs.

One thread a worker, the ci profile, nobody's Jupyter settings, and no network: inside pytest, pytest-socket
blocks it (see pyproject.toml); for processes started here, a proxy that answers no one. Workers often wait,
for a browser or a kernel: `make test` runs three of them on two cores.
"""

import atexit
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator

import hypothesis
import pytest

# No test judges a time: these machines are shared.
hypothesis.settings.register_profile("course", deadline=None)
hypothesis.settings.load_profile("course")

SETTINGS = tempfile.TemporaryDirectory(prefix="course-tests-")
atexit.register(SETTINGS.cleanup)
NOWHERE = "http://127.0.0.1:9"
CI = os.environ.get("CI") == "true"
CHROMIUM = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PARTS = ("nbgrader", "browser", "notebook", "unit")  # the longest first, so that no worker waits at the end

for variable in [name for name in os.environ if name.startswith(("COURSE_", "JUPYTER", "IPYTHON"))]:
    del os.environ[variable]
os.environ |= {
    "COURSE_PROFILE": "ci",
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "JUPYTER_CONFIG_DIR": f"{SETTINGS.name}/config",
    "JUPYTER_DATA_DIR": f"{SETTINGS.name}/data",
    "JUPYTER_RUNTIME_DIR": f"{SETTINGS.name}/runtime",
    "JUPYTER_PREFER_ENV_PATH": "1",
    "IPYTHONDIR": f"{SETTINGS.name}/ipython",
    "http_proxy": NOWHERE,
    "https_proxy": NOWHERE,
    "no_proxy": "127.0.0.1,localhost",
}
# A deadline measures the machine; CI draws the same examples every time, everybody else new ones.
hypothesis.settings.register_profile("course", deadline=None, derandomize=CI)
hypothesis.settings.load_profile("course")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test belongs to one part: its own mark, else notebook for nbval's cells, else unit."""
    for item in items:
        if not any(item.get_closest_marker(part) for part in PARTS):
            item.add_marker("notebook" if item.path.suffix == ".ipynb" else "unit")
    items.sort(key=lambda item: [bool(item.get_closest_marker(part)) for part in PARTS], reverse=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """A running Chromium, as playwright's Browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        yield browser
        browser.close()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") and not shutil.which("chromium"):
        pytest.skip("Chromium is missing; install the package chromium to run this test.")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Seconds spent in each part, and in each notebook, summed over the workers."""
    seconds: dict[str, float] = defaultdict(float)
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if isinstance(report, pytest.TestReport):
            part = next(part for part in PARTS if part in report.keywords)
            seconds[f"notebook {report.fspath}" if part == "notebook" else part] += report.duration
    terminalreporter.section("seconds by part, summed over the workers")
    for name, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        terminalreporter.write_line(f"{spent:7.1f}  {name}")
    if CI and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("CI=true: no test may be skipped.", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI=true a skipped test fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if CI and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
