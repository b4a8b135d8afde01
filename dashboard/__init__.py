"""The dashboard: pages, a JSON API and metrics over the tracker. It reads by `tracker` and acts by `runner`."""
