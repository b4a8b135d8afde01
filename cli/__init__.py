"""The command line. It only renders: it reads `tracker.reports` and acts through `runner.operate`."""
