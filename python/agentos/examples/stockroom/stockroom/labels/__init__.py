# -*- coding: utf-8 -*-
"""What is printed on the shelf."""


class Label(object):
    def __init__(self, code, text):
        self.code = code
        self.text = text

    def line(self):
        return "%s: %s" % (self.code, self.text)
