# -*- coding: utf-8 -*-
"""How parcels leave."""
import io


class Parcel(object):
    def __init__(self, number, grams):
        self.number = number
        self.grams = grams


class Letter(Parcel):
    LIMIT = 500

    def __init__(self, number, grams):
        super(Letter, self).__init__(number, grams)
        if grams > self.LIMIT:
            raise ValueError("letter %s weighs %s g" % (number, grams))


def manifest(parcels):
    out = io.StringIO()
    for parcel in parcels:
        out.write("{} {}\n".format(parcel.number, parcel.grams))
    return out.getvalue()


def carriers(routes):
    return set([carrier for _, carrier in routes])
