"""The pages for people: `/ui`, and `/docs` with Swagger UI. The application imports them when one of them is asked for."""
