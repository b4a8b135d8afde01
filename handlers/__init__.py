"""What a stage runs: a context in, an outcome out. Knows no tracker, no Celery, no status."""
