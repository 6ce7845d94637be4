-- Foreign keys over two columns, which models cannot say: a member's department is of the member's organization,
-- and the organization and user of a membership key are those of its membership.
ALTER TABLE orgs_department ADD CONSTRAINT department_of_organization UNIQUE (id, organization_id);
ALTER TABLE orgs_membership ADD CONSTRAINT membership_of_organization_and_user UNIQUE (id, organization_id, user_id);

ALTER TABLE orgs_membership ADD CONSTRAINT membership_department_of_same_organization
  FOREIGN KEY (department_id, organization_id) REFERENCES orgs_department (id, organization_id)
  DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE orgs_accesskey ADD CONSTRAINT access_key_names_its_membership
  FOREIGN KEY (membership_id, organization_id, user_id) REFERENCES orgs_membership (id, organization_id, user_id)
  DEFERRABLE INITIALLY DEFERRED;
