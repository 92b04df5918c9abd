"""The course as pages that need neither kernel nor network: `course site`.

    notebooks/NN_topic.ipynb   what students get, executed; so no page holds a solution
    README.md                  the course's name, and the question of each chapter
      -> index.html            what the course is, its chapters, how to run it
      -> NN_topic.html         one chapter
      -> assets/               style, fonts, pictures and scripts, each once, named after its content

The stages, in order: markdown, cells, assets (take a chapter apart), pages (put it together), checks, write.
"""
