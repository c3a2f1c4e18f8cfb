"""What a person sees: one page and its shells (notebook, dashboard, served, report).

It may import `views`, `analysis`, `session` and what lies below, and no torch. It offers
`dashboard.dashboard`, `report.report` and the widgets of `widget`; `looks` says how a run of each
command looks, and `state` makes the JSON that the page's scripts draw. `contract` states what
crosses between Python and these scripts, which lie in `src` and are built into `static`.
"""
