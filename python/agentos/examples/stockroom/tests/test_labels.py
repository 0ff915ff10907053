import unittest

from stockroom.labels import Label


class LabelsTest(unittest.TestCase):
    def test_a_label_has_code_and_text(self):
        self.assertEqual(Label("n1", "nails").line(), "n1: nails")
