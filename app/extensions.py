"""The extensions, made without an app; create_app() gives them one."""

from celery import Celery
from flask_cors import CORS
from flask_jwt_extended import JWTManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from app.core.db.base import Base
from app.core.db.engines import RoutingSession

db = SQLAlchemy(
    metadata=Base.metadata,
    session_options={"class_": RoutingSession, "expire_on_commit": False, "join_transaction_mode": "rollback_only"},
)
migrate = Migrate(db=db, compare_type=True)
jwt = JWTManager()
cors = CORS()
celery = Celery("agora")
