import unittest

from stockroom.shipping import Letter, Parcel, carriers, manifest


class ShippingTest(unittest.TestCase):
    def test_a_manifest_has_a_line_a_parcel(self):
        self.assertEqual(manifest([Parcel("p1", 900), Letter("p2", 20)]), "p1 900\np2 20\n")

    def test_a_heavy_letter_is_refused_with_its_weight(self):
        with self.assertRaisesRegex(ValueError, "letter p3 weighs 501 g"):
            Letter("p3", 501)

    def test_a_carrier_is_named_once(self):
        self.assertEqual(carriers([("north", "Ox"), ("south", "Ox")]), {"Ox"})
