"""Chapters 6 to 8: the forward process, the network that undoes it, and the walks back.

schedules    how much noise each step adds (chapter 6)
forward      from images to noise, and three views of the same pair (chapter 6)
unet         one network for all noise levels (chapter 7)
samplers     one step back, many steps back (chapter 8)
guidance     conditioning on a class (chapter 8)
"""
