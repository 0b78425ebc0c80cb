"""How fast Runwell is, beside the fastest thing the same web server can do on the same machine.

`python -m benchmarks --help` lists what is measured. Nothing in here is imported by the product.
"""
