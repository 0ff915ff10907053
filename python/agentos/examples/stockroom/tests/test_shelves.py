import unittest

from stockroom.shelves import ColdShelf, Shelf, where


class ShelvesTest(unittest.TestCase):
    def test_a_thing_is_found_wherever_it_lies(self):
        dry, cold = Shelf("A", 1), ColdShelf("B", 2, 4)
        for shelf in (dry, cold):
            shelf.put("m1")
        self.assertEqual(where([dry, cold], "m1"), ["row A, level 1", "row B, level 2, at 4 degrees"])
        self.assertEqual(where([dry, cold], "m2"), [])
