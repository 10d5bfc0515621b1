"""How long a step takes on this machine, from its shapes alone.

A ledger that is asked to (`Ledger(works=True)`) counts every numpy call of a step on abstract arrays, with how much each does and how it
walks memory, and every operation of an engine. The calibration of a machine is a price list for these, and a prediction is their sum:

    seconds = sum over calls of factor * pace, as far as the kind goes with it, * what they take at best, which is of a
        function that walks arrays   call + max(elements * element, bytes * traffic(bytes)), and walk + loops * loop for several loops
        product of matrices          call + products * table(rows, columns, terms)
        gather, scatter, draw        call + elements * element, which is more where each lies in a line of memory of its own
        byte of a far buffer         traffic(buffer) - traffic(call), where a call touches a part of it; of an operand that was touched
                                     long ago the same, with the bytes that have been touched since for the buffer
        new buffer                   buffers(bytes)
        view, new array              call
        rule of a kernel             what it takes beside the numpy calls that it makes; of values that are computed in several
                                     ways (as convolutions of one tap are) for each of these
        operation of an engine       its checks; per recorded operation, per tangent that is pushed, per result on which directions
                                     are planted, per parameter that is updated, per step, per checkpointed network and each run of a
                                     segment, less where that keeps nothing

Every price is measured by itself: numpy's functions on arrays that fit the first cache, on inner loops of several lengths and on strided
ones; `traffic` and `buffers` from the first cache to beyond the last; products on a grid from vectors to 512 squared; rules of kernels on
rows of the table of scenarios, over and over, and in turn with others, whose code takes the place of theirs in the caches: what they take
longer then counts once each, the more the more rules a step has. Operations of the engines are told from stacks of layers of four numbers.
Six factors (of numpy's calls, of what engines and rules do beside them, which count as far as other code comes between; of elements in the
caches, of memory beyond, of memory that is streamed, of products) are what small networks of every kind take over the sum of these. Nothing
is fitted to the networks that predictions are judged by (`python -m compare bench --only prediction`).

Where others use a machine too it may take twice as long for code, for milliseconds or minutes, and hardly any longer for products and
memory. So everything is timed beside a gauge, which is code: prices of code are told in proportion to that, those of products and memory by
the clock, those of elements in the caches half by half (see `pace`). What they come to counts at the pace that the machine had while the
small networks ran: that is what whoever runs a step will see, as long as the machine is used as much.

Steps on jax are one compiled program each, whose passes over memory are XLA's choice: they are not predicted.
"""

from compare.calibration.measuring import calibrate
from compare.calibration.model import Calibration
from compare.calibration.store import load, path, read, save

__all__ = ["Calibration", "calibrate", "load", "path", "read", "save"]
