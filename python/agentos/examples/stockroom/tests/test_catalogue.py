import unittest

from stockroom.catalogue import BulkItem, Item, by_code


class CatalogueTest(unittest.TestCase):
    def test_items_are_found_by_their_code(self):
        nails, flour = Item("n1", "nails", 350), BulkItem("f1", "flour", 120)
        self.assertEqual(by_code([nails, flour]), {"n1": nails, "f1": flour})

    def test_a_bulk_item_names_its_unit(self):
        self.assertEqual(BulkItem("f1", "flour", 120).label(), "flour (per kg)")

    def test_an_item_shows_code_and_name(self):
        self.assertEqual(repr(Item("n1", "nails", 350)), "Item('n1', 'nails')")
