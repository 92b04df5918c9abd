"""Tests of course_utils.exercises; the answers that exercises are tested with are in `alternatives`."""
