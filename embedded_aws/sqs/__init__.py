"""SQS: the messages of queues, dead-letter queues, and the pollers of Lambda's event source mappings."""
