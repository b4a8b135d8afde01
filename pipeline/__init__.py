"""The words every floor shares: statuses and moves, jobs.yaml, outcomes, errors. Imports nothing of Celeriac."""
