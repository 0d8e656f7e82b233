"""Pixels -> keypoints and looks."""
