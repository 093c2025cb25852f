"""Pictures as they may leave the house: the same pixels, without what a camera notes beside them.

Nothing is decoded or encoded anew: a file is read as the parts it consists of, and those that say
where, when, by whom and with what it was taken are left out.
"""
