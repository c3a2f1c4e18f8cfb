"""What a model needs on so many ranks, before anybody books them."""

from hessview.planning.make import plan as plan
from hessview.planning.planned import Plan as Plan
from hessview.planning.planned import timed as timed
