def order(**changes):
    return {"item": "screw", "amount": 3, **changes}
