"""What recorded curves say: logs to rows, rows to runs of series, runs to findings and a diagnosis.

Needs no PyTorch. What only some logs or plots need is imported by the module that reads or draws them (extra `curves`).
"""
