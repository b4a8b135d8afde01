"""The words every floor shares: statuses, moves, jobs.yaml, outcomes, errors. Imports nothing above it."""
