# -*- coding: utf-8 -*-
"""What comes back."""

REASONS = dict([("broken", True), ("wrong", True), ("unwanted", False)])


class Return(object):
    def __init__(self, order, code, reason):
        if reason not in REASONS:
            raise ValueError("unknown reason %r" % reason)
        self.order = order
        self.code = code
        self.reason = reason

    def free_of_charge(self):
        return REASONS[self.reason]

    def note(self):
        return "{0} of order {1}: {2}".format(self.code, self.order, self.reason)
