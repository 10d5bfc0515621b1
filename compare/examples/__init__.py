"""Programs to read and to run, each `python -m compare.examples.NAME`.

    reverse_in_ten_lines    a network trained with `revdiff`
    forward_in_ten_lines    the same network trained with `dualdiff`
    linear_regression       from scratch: model, loss and descent written out, beside the closed form
    custom_layer            a layer of one's own, with parameters, in both engines
    custom_kernel           an operation of one's own: its record, its derivative rules, its cost, and the checkers run on it
    hessian_vector_product  second derivatives in all four nestings of the engines
"""
