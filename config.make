# Read by nginx's auto/make: the rule that compiles the Redis scripts in.

cat << END >> $NGX_MAKEFILE

$NGX_OBJS/ngx_http_ticket_lua.h: \\
	$(echo $ngx_addon_dir/ngx_ticket_module/lua/*.lua) \\
	$ngx_addon_dir/ngx_ticket_module/lua/embed
	$ngx_addon_dir/ngx_ticket_module/lua/embed > \$@

END
