"""The schedules of EventBridge Scheduler."""
