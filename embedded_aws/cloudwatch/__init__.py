"""Logs, metrics and alarms of CloudWatch."""
