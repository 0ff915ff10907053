import unittest

from stockroom.reports import CountedTable, Table


class ReportsTest(unittest.TestCase):
    def test_a_table_has_its_titles_first_and_its_count_last(self):
        table = CountedTable(["code", "left"])
        table.add("n1", 12)
        self.assertEqual(table.lines(), ["code | left", "n1 | 12", "1 rows"])

    def test_a_row_that_does_not_fit_is_refused(self):
        with self.assertRaisesRegex(ValueError, "1 cells for 2 titles"):
            Table(["code", "left"]).add("n1")
