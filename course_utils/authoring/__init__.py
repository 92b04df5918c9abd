"""From one text file to the notebooks of a chapter.

    solutions/NN_topic.py          the source: jupytext py:percent, nbgrader metadata, solution regions
      -> solutions/NN_topic.ipynb                      executed, with the solutions
      -> notebooks/NN_topic.ipynb                      executed, with stubs in their place
      -> assessments/source/NN_topic/NN_topic.ipynb    not executed: what `nbgrader generate_assignment` reads

`course build` writes the three, `course build --check` says where they no longer follow from the source.
"""
