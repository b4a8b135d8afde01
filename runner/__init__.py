"""Where the worlds meet: jobs.yaml, the tracker, strategies, handlers. Knows no Celery: publishing is handed in."""
