"""Requests and the types of their replies, one file a part of the API."""
