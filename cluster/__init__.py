"""What is written by code for clusters: the chart's values, schema and README, dashboard, alerts.

values      every value of the chart, once
chart       values.yaml, values.schema.json and README.md made of them
alerts      every alert, once: for the chart, for Prometheus alone, and its runbook
dashboard   the Grafana dashboard in the order of the walk
__main__    writes them all: `make cluster`
"""
