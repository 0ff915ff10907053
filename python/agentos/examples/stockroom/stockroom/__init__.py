# -*- coding: utf-8 -*-
"""The books of a small shop."""
