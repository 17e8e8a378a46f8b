"""How many instructions do the hot paths take? `make instructions` asks callgrind.

Unlike times, the counts of one build are the same in every run, whatever else the machine does: so
they have bounds that CI holds.

`__main__` is the command; `kernels` are what is counted, `acting` acts them out under callgrind,
`callgrind` starts that and reads what was counted, `valgrind` finds or unpacks the program,
`bounds` knows how much each kernel may take.
"""
