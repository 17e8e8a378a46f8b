"""Files of points instead of columns: line protocol, Graphite, annotated CSV of InfluxDB."""
