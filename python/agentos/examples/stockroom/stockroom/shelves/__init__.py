# -*- coding: utf-8 -*-
"""Where things lie."""
from __future__ import print_function


class Shelf(object):
    def __init__(self, row, level):
        self.row = row
        self.level = level
        self.codes = set([])

    def put(self, code):
        self.codes.add(code)

    def __str__(self):
        return "row %s, level %s" % (self.row, self.level)


class ColdShelf(Shelf):
    def __init__(self, row, level, degrees):
        super(ColdShelf, self).__init__(row, level)
        self.degrees = degrees

    def __str__(self):
        return "{}, at {} degrees".format(super(ColdShelf, self).__str__(), self.degrees)


def where(shelves, code):
    return [str(shelf) for shelf in shelves if code in shelf.codes]
