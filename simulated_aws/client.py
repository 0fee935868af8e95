"""Clients as boto3 makes them: they accept only the parameters that AWS accepts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from botocore.paginate import Paginator, PaginatorModel
from botocore.validate import ParamValidator

from simulated_aws.service import Params, ServiceError

Serve = Callable[[str, OperationModel, Params], dict[str, Any]]


@cache
def operation_model(service: str, method: str) -> OperationModel:
    """Return the operation model of a client method."""
    model = botocore.session.get_session().get_service_model(service)
    for name in model.operation_names:
        if xform_name(name) == method:
            return model.operation_model(name)
    raise AttributeError(method)


class Client:
    """A client of boto3, for the guard: it accepts only the parameters that AWS accepts."""

    def __init__(self, service: str, serve: Serve, *, validate: bool = True) -> None:
        self._service = service
        self._serve = serve
        self._validate = validate

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        model = operation_model(self._service, method)
        return lambda **params: self._call(model, params)

    def get_paginator(self, method: str) -> Paginator:
        """Make botocore's own paginator."""
        model = operation_model(self._service, method)
        config = _paginators(self._service).get_paginator(model.name)
        return Paginator(lambda **params: self._call(model, params), config, model)

    def _call(self, model: OperationModel, params: Params) -> dict[str, Any]:
        if self._validate:
            report = ParamValidator().validate(params, model.input_shape)
            assert not report.has_errors(), report.generate_report()
        return self._serve(self._service, model, params)


def client_error(error: ServiceError, operation: str) -> ClientError:
    """Make of a service's error what botocore makes of it."""
    response = {
        "Error": {"Code": error.code, "Message": error.message},
        "ResponseMetadata": {"HTTPStatusCode": error.status},
    }
    return ClientError(response, operation)


@cache
def _paginators(service: str) -> PaginatorModel:
    loader = botocore.session.get_session().get_component("data_loader")
    return PaginatorModel(loader.load_service_model(service, "paginators-1"))
