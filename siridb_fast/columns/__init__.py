"""What callers give as arrays or rows, to bytes of points, and a select's answer back to arrays.

Here stands every refusal of a point: what the server would refuse, change or hang over raises
before a byte is sent, with series and index. Without input or output. It knows nothing of
connections, and nothing of when points are sent. It imports `protocol`.
"""
