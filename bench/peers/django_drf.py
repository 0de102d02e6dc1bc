"""Django with the REST framework in one file: class-based views, serializers, and connections that are kept."""

import os
from urllib.parse import parse_qs, urlsplit

import django
import jwt
from django.conf import settings
from django.core.wsgi import get_wsgi_application

address = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
    USE_TZ=True,
    APPEND_SLASH=False,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": address.path[1:],
            "USER": address.username,
            "HOST": parse_qs(address.query)["host"][0],
            "CONN_MAX_AGE": None,
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

from django.db import models, transaction  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework import generics, pagination, permissions, serializers, status  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.exceptions import APIException, AuthenticationFailed, NotFound  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class User(models.Model):
    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=80)
    email = models.CharField(max_length=120, null=True)
    role = models.CharField(max_length=20)
    is_active = models.BooleanField()
    notify_by_email = models.BooleanField()
    email_verified = models.BooleanField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    is_authenticated = True

    class Meta:
        app_label, db_table, managed = "bench", "users", False


class Post(models.Model):
    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, models.CASCADE)
    title = models.CharField(max_length=200)
    content = models.TextField(max_length=50_000)
    is_hidden = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    search_text = models.TextField()

    class Meta:
        app_label, db_table, managed = "bench", "posts", False


class Account(models.Model):
    user = models.OneToOneField(User, models.CASCADE, primary_key=True)
    balance = models.BigIntegerField()

    class Meta:
        app_label, db_table, managed = "bench", "plain_accounts", False


class Transfer(models.Model):
    id = models.BigAutoField(primary_key=True)
    sender = models.ForeignKey(User, models.CASCADE, related_name="+")
    receiver = models.ForeignKey(User, models.CASCADE, related_name="+")
    amount = models.BigIntegerField()
    memo = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label, db_table, managed = "bench", "plain_transfers", False


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "name", "email", "role", "is_active", "notify_by_email", "email_verified", "created_at",
                  "updated_at")  # fmt: skip


class PostSerializer(serializers.ModelSerializer):
    author = serializers.CharField(source="user.name", read_only=True)
    content = serializers.CharField(max_length=50_000)

    class Meta:
        model = Post
        fields = ("id", "title", "content", "is_hidden", "user_id", "author", "created_at", "updated_at")
        read_only_fields = ("is_hidden", "created_at", "updated_at")


class TransferSerializer(serializers.ModelSerializer):
    kind = serializers.ReadOnlyField(default="transfer")
    reverses = serializers.ReadOnlyField(default=None)
    receiver_id = serializers.IntegerField(min_value=1)
    amount = serializers.IntegerField(min_value=1, max_value=10**12)
    memo = serializers.CharField(max_length=200, allow_blank=True, default="")

    class Meta:
        model = Transfer
        fields = ("id", "kind", "sender_id", "receiver_id", "amount", "memo", "reverses", "created_at")
        read_only_fields = ("created_at",)


class JWTAuthentication(BaseAuthentication):
    def authenticate(self, request):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return None
        try:
            secret = os.environ["JWT_SECRET_KEY"]
            claims = jwt.decode(token, secret, algorithms=["HS256"], audience="agora:access")
            return User.objects.get(id=int(claims["sub"]), is_active=True), claims
        except (jwt.InvalidTokenError, User.DoesNotExist):
            raise AuthenticationFailed from None

    def authenticate_header(self, request):
        return "Bearer"


class Conflict(APIException):
    status_code = 409


class ByNumber(pagination.PageNumberPagination):
    page_size = 20

    def get_paginated_response(self, data):
        return Response({
            "posts": data,
            "page": self.page.number,
            "per_page": self.page_size,
            "total": self.page.paginator.count,
            "pages": self.page.paginator.num_pages,
            "has_more": self.page.has_next(),
        })  # fmt: skip


class ByCursor(pagination.CursorPagination):
    page_size = 20
    max_page_size = 100
    page_size_query_param = "per_page"
    ordering = ("-created_at", "-id")

    def get_paginated_response(self, data):
        link = self.get_next_link()
        return Response({
            "posts": data,
            "per_page": self.page_size,
            "has_more": self.has_next,
            "next_cursor": parse_qs(urlsplit(link).query)["cursor"][0] if link else None,
        })  # fmt: skip


class Health(APIView):
    def get(self, request):
        return Response({"status": "healthy"})


class Me(generics.RetrieveAPIView):
    serializer_class = UserSerializer
    authentication_classes = (JWTAuthentication,)
    permission_classes = (permissions.IsAuthenticated,)

    def get_object(self):
        return self.request.user


class PostList(generics.ListCreateAPIView):
    serializer_class = PostSerializer
    authentication_classes = (JWTAuthentication,)
    permission_classes = (permissions.IsAuthenticatedOrReadOnly,)
    queryset = Post.objects.filter(is_hidden=False).select_related("user").defer("search_text")

    @property
    def pagination_class(self):
        return ByCursor if "cursor" in self.request.query_params else ByNumber

    def filter_queryset(self, queryset):
        return queryset.order_by("-created_at", "-id")

    def perform_create(self, serializer):
        sent = serializer.validated_data
        searched = f"{sent['title']}\n{sent['content']}".casefold()
        serializer.save(user=self.request.user, search_text=searched)


class TransferList(generics.CreateAPIView):
    serializer_class = TransferSerializer
    authentication_classes = (JWTAuthentication,)
    permission_classes = (permissions.IsAuthenticated,)

    def create(self, request):
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        sent = serializer.validated_data
        with transaction.atomic():
            ids = (request.user.id, sent["receiver_id"])
            locked = Account.objects.select_for_update().filter(user_id__in=ids).order_by("user_id")
            accounts = {account.user_id: account for account in locked}
            if len(accounts) != 2:
                raise NotFound
            sender, receiver = accounts[ids[0]], accounts[ids[1]]
            if sender.balance < sent["amount"]:
                raise Conflict
            sender.balance -= sent["amount"]
            receiver.balance += sent["amount"]
            sender.save()
            receiver.save()
            serializer.save(sender_id=request.user.id)
        return Response(serializer.data, status=status.HTTP_201_CREATED)


urlpatterns = [
    path("health", Health.as_view()),
    path("auth/me", Me.as_view()),
    path("api/v1/posts", PostList.as_view()),
    path("api/v1/transfers", TransferList.as_view()),
]
app = get_wsgi_application()
