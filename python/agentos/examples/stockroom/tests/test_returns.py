import unittest

from stockroom.returns import Return


class ReturnsTest(unittest.TestCase):
    def test_what_the_shop_got_wrong_is_free(self):
        self.assertTrue(Return(7, "n1", "broken").free_of_charge())
        self.assertFalse(Return(7, "n1", "unwanted").free_of_charge())

    def test_a_note_names_item_order_and_reason(self):
        self.assertEqual(Return(7, "n1", "wrong").note(), "n1 of order 7: wrong")

    def test_an_unknown_reason_is_quoted(self):
        with self.assertRaisesRegex(ValueError, "unknown reason 'bored'"):
            Return(7, "n1", "bored")
