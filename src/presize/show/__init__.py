"""Draws pictures, grids of pictures and functions with matplotlib, which is imported on first use.

Everything is drawn from plain arrays: tensors, NumPy arrays and PIL pictures alike.
"""

from presize.core.graph import gv as gv
from presize.show.functions import plot_function as plot_function
from presize.show.grids import Grid as Grid
from presize.show.grids import get_grid as get_grid
from presize.show.grids import subplots as subplots
from presize.show.pictures import show_image as show_image
from presize.show.pictures import show_images as show_images
from presize.show.pictures import show_titled_image as show_titled_image
