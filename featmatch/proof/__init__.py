"""Two pictures: is one a copy of the other?"""
