"""What a measurement needs of memory, time and network, before anybody books the ranks.

It may import `session`, `job` and what lies below, and offers `make.plan` and `planned.Plan`.
"""

from hessview.planning.make import plan as plan
from hessview.planning.planned import Plan as Plan
from hessview.planning.planned import timed as timed
