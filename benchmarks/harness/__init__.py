"""How it is measured: rounds in turn, records, bounds, the report and its charts."""
