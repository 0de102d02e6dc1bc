"""Who may do what: one table of every route, written from what the API promises, not from its code.

A line is a path, methods, what its case is about (`-`: the plain thing), and what is answered, in this order, to
anonymous callers, to tokens of members who have been disabled or deleted, to a member, moderator, treasurer and admin:
`yes`, or the status of the refusal. `yes/404`: yes for a thing of one's own, 404 for another member's. From the
moderator on, `-` is "as a member".

A new route needs a line for each of its methods here; what is private to its owner has the two of todos. The cases
beside the plain one are made in test_matrix.py.
"""

from typing import NamedTuple

ROLES = ("member", "moderator", "treasurer", "admin")
CALLERS = ("anonymous", "disabled", "deleted", *ROLES)
PLAIN = "-"
# What every member may do to another's thing, since it is there for that.
OPEN_STEPS = frozenset[str]()

TABLE = """
/                                          GET              -         yes yes yes     -   -       -
/docs                                      GET              -         yes yes yes     -   -       -
/docs/<string:name>                        GET              -         yes yes yes     -   -       -
/openapi.json                              GET              -         yes yes yes     -   -       -
/health                                    GET              -         yes yes yes     -   -       -
/health/ready                              GET              -         yes yes yes     -   -       -
/metrics                                   GET              -         yes yes yes     -   -       -

/auth/login                                POST             -         yes 401 yes     -   -       -
/auth/refresh                              POST             -         401 401 yes     -   -       -
/auth/session                              POST             -         yes 401 yes     -   -       -
/auth/session                              GET,PUT,DELETE   -         401 401 yes     -   -       -
/auth/confirm                              POST             -         401 401 yes     -   -       -
/auth/password                             PUT              -         401 401 yes     -   -       -
/auth/password/forgot                      POST             -         yes yes yes     -   -       -
/auth/password/reset                       POST             -         yes yes yes     -   -       -
/auth/email/verification                   POST             -         401 401 yes     -   -       -
/auth/email/verify                         POST             -         yes yes yes     -   -       -
/auth/logout                               POST             -         401 401 yes     -   -       -
/auth/me                                   GET              -         401 401 yes     -   -       -
/auth/permissions                          GET              -         401 401 yes     -   -       -
/auth/sessions                             GET,DELETE       -         401 401 yes     -   -       -
/auth/sessions/<id:session_id>             DELETE           -         401 401 yes/404 -   -       -

/api/v1/users                              GET              -         yes 401 yes     -   -       -
/api/v1/users                              POST             -         yes yes yes     -   -       -
/api/v1/users/<id:user_id>                 GET              -         yes 401 yes     -   -       -
/api/v1/users/<id:user_id>                 PUT,PATCH,DELETE -         401 401 yes/403 -   -       yes
/api/v1/users/<id:user_id>                 PUT,PATCH        role      401 401 403     -   -       yes
/api/v1/users/<id:user_id>                 PUT,PATCH        is_active 401 401 403     -   -       yes
/api/v1/users/<id:user_id>                 GET              disabled  404 401 404     -   -       yes
/api/v1/users/<id:user_id>                 PUT,PATCH,DELETE disabled  401 401 404     -   -       yes
/api/v1/users/<id:user_id>/sessions        GET,DELETE       -         401 401 403     -   -       yes
/api/v1/users/<id:user_id>/sessions/<id:session_id> DELETE  -         401 401 403     -   -       yes

/api/v1/posts                              GET              -         yes 401 yes     -   -       -
/api/v1/posts                              POST             -         401 401 yes     -   -       -
/api/v1/posts                              POST             is_hidden 401 401 403     yes 403     yes
/api/v1/posts/<id:post_id>                 GET              -         yes 401 yes     -   -       -
/api/v1/posts/<id:post_id>                 PUT,PATCH,DELETE -         401 401 yes/403 yes yes/403 yes
/api/v1/posts/<id:post_id>                 PUT,PATCH        is_hidden 401 401 403     yes 403     yes
/api/v1/posts/<id:post_id>                 GET              hidden    404 401 yes/404 yes yes/404 yes
/api/v1/posts/<id:post_id>                 PUT,PATCH,DELETE hidden    401 401 yes/404 yes yes/404 yes
/api/v1/users/<id:user_id>/posts           GET              -         yes 401 yes     -   -       -
/api/v1/users/<id:user_id>/posts           GET              disabled  404 401 404     -   -       yes

/api/v1/todos                              GET,POST         -         401 401 yes     -   -       -
/api/v1/todos/<id:todo_id>                 GET              -         401 401 yes/404 -   -       -
/api/v1/todos/<id:todo_id>                 PUT,PATCH,DELETE -         401 401 yes/404 -   -       -

/api/v1/files                              GET,POST         -         401 401 yes     -   -       -
/api/v1/files/<id:file_id>                 GET,DELETE       -         401 401 yes/404 -   -       -
/api/v1/files/<id:file_id>/content         GET              -         404 401 yes/404 -   -       -
/api/v1/files/<id:file_id>/content         GET              picture   yes 401 yes     -   -       -
/api/v1/files/<id:file_id>/thumbnail       GET              -         404 401 yes/404 -   -       -
/api/v1/files/<id:file_id>/thumbnail       GET              picture   yes 401 yes     -   -       -

/api/v1/products                           GET              -         yes 401 yes     -   -       -
/api/v1/products                           POST             -         401 401 yes     -   -       -
/api/v1/products/<id:product_id>           GET              -         yes 401 yes     -   -       -
/api/v1/products/<id:product_id>           PUT,PATCH,DELETE -         401 401 yes/403 yes yes/403 yes
/api/v1/products/<id:product_id>           PUT,PATCH        image_id  401 401 yes/403 -   -       -
/api/v1/products/<id:product_id>           GET              withdrawn 404 401 404     -   -       -
/api/v1/products/<id:product_id>           PUT,PATCH,DELETE withdrawn 401 401 404     -   -       -
/api/v1/rates/<string:currency>            GET              -         yes 401 yes     -   -       -

/api/v1/orders                             GET,POST         -         401 401 yes     -   -       -
/api/v1/orders/<id:order_id>               GET              -         401 401 yes/404 -   -       -
/api/v1/orders/<id:order_id>               GET              received  401 401 yes/404 -   -       -
/api/v1/orders/<id:order_id>/completion    POST             -         401 401 yes/404 -   -       -
/api/v1/orders/<id:order_id>/completion    POST             received  401 401 403/404 -   -       -
/api/v1/orders/<id:order_id>/cancellation  POST             -         401 401 yes/404 -   -       -
/api/v1/orders/<id:order_id>/cancellation  POST             received  401 401 yes/404 -   -       -

/api/v1/jobs                               GET              -         401 401 yes     -   -       -
/api/v1/jobs/<id:job_id>                   GET              -         401 401 yes/404 -   -       -
/api/v1/jobs/<id:job_id>/result            GET              -         401 401 yes/404 -   -       -
/api/v1/jobs/<id:job_id>/cancellation      POST             -         401 401 yes/404 -   -       -
/api/v1/imports                            POST             -         401 401 yes     -   -       -
/api/v1/reports                            POST             -         401 401 yes     -   -       -
/api/v1/reports                            POST             community 401 401 403     -   yes     yes
/api/v1/notifications                      GET              -         401 401 yes     -   -       -
/api/v1/notifications/<id:notification_id> GET,PATCH        -         401 401 yes/404 -   -       -

/api/v1/wallet                             GET              -         401 401 yes     -   -       -
/api/v1/wallet/entries                     GET              -         401 401 yes     -   -       -
/api/v1/users/<id:user_id>/wallet          GET              -         401 401 403     -   yes     yes
/api/v1/users/<id:user_id>/wallet/entries  GET              -         401 401 403     -   yes     yes
/api/v1/transfers                          GET,POST         -         401 401 yes     -   -       -
/api/v1/transfers/<id:transfer_id>         GET              -         401 401 yes/404 -   yes     yes
/api/v1/transfers/<id:transfer_id>/reversal POST            -         401 401 403     -   yes     yes
/api/v1/deposits                           POST             -         401 401 403     -   yes     yes
/api/v1/withdrawals                        POST             -         401 401 403     -   yes     yes
/api/v1/ledger                             GET              -         401 401 403     -   yes     yes
/api/v1/audit                              GET              -         401 401 yes     -   -       -
# A new resource is inserted above this line.
"""


class Case(NamedTuple):
    """One line for one of its methods."""

    path: str
    method: str
    about: str
    answers: dict[str, str]

    @property
    def route(self) -> str:
        """The route, as the URL map names it."""
        return f"{self.method} {self.path}"

    def expected(self, caller: str, whose: str) -> str:
        """Return what ``caller`` is answered about a thing that is ``own`` or ``another's``."""
        own, _, others = self.answers[caller].partition("/")
        return others if others and whose == "another's" else own


def _cases(line: str) -> list[Case]:
    path, methods, about, anonymous, ended, *words = line.split()
    by_role = {role: words[0] if word == "-" else word for role, word in zip(ROLES, words, strict=True)}
    answers = {"anonymous": anonymous, "disabled": ended, "deleted": ended, **by_role}
    return [Case(path, method, about, answers) for method in methods.split(",")]


CASES = [case for line in TABLE.splitlines() if line and line[0] == "/" for case in _cases(line)]
