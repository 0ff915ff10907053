# -*- coding: utf-8 -*-
"""What can be bought."""
from __future__ import print_function


class Item(object):
    """A thing on a shelf, with its price in cents."""

    def __init__(self, code, name, cents):
        self.code = code
        self.name = name
        self.cents = cents

    def __repr__(self):
        return "Item(%r, %r)" % (self.code, self.name)


class BulkItem(Item):
    """A thing sold by weight; the price is for a kilogram."""

    def __init__(self, code, name, cents, unit="kg"):
        super(BulkItem, self).__init__(code, name, cents)
        self.unit = unit

    def label(self):
        return "{} (per {})".format(self.name, self.unit)


def by_code(items):
    return dict((item.code, item) for item in items)
