"""Tests of course_utils.grading; what they hand in is made by `submissions` and `corpus`."""
